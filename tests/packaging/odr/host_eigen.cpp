// A library of a host that uses Eigen heavily, compiled with flags of its own: objects by value, products with blocks
// on the heap, temporaries, a solver. Eigen's types stay within.
#include <Eigen/Dense>

namespace {

using RowMajor = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

template <class Matrix>
__attribute__((noinline)) Matrix scaled(Matrix matrix, float factor) {
    return matrix * factor;
}

/// The largest difference between Eigen's product and one written out.
template <class A, class B>
__attribute__((noinline)) float product_error(A a, B b) {
    const A product = a * b;
    float largest = 0;
    for (Eigen::Index r = 0; r < a.rows(); ++r)
        for (Eigen::Index c = 0; c < b.cols(); ++c) {
            double sum = 0;
            for (Eigen::Index k = 0; k < a.cols(); ++k) sum += double(a(r, k)) * double(b(k, c));
            largest = std::max(largest, std::abs(product(r, c) - float(sum)));
        }
    return largest;
}

}  // namespace

/// Whether Eigen computes what it should.
bool host_eigen_works() {
    float error = 0;
    for (const Eigen::Index n : {3, 17, 64, 257}) {  // the last one's blocks are on the heap
        const Eigen::MatrixXf a = Eigen::MatrixXf::Random(n, n), b = scaled<Eigen::MatrixXf>(a.transpose(), 0.5f);
        const RowMajor c = a * b, d = scaled<RowMajor>(c, 0.01f);
        error = std::max(
            {error, product_error(a, b), product_error(c, RowMajor(d.transpose())), product_error(RowMajor(a), b)});
        const Eigen::VectorXf x = scaled<Eigen::VectorXf>(Eigen::VectorXf::Random(n), 2.0f);
        const Eigen::MatrixXf well = b * a + Eigen::MatrixXf::Identity(n, n) * float(n);
        const Eigen::VectorXf solved = well.partialPivLu().solve(well * x);
        error = std::max(error, (solved - x).cwiseAbs().maxCoeff());
        error = std::max(error, std::abs((x.array().exp().log() - x.array()).abs().maxCoeff()));
    }
    return error < 0.05f;
}
